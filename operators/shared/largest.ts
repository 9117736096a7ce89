/** Values beyond this are none to a model that squares them: the squares stay finite. */
export const LARGEST = 1e100
