/** To a model that squares them, values from here on are none, or count as no more: the squares stay finite. */
export const LARGEST = 1e100
