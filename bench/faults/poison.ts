/** Values on which the operator of the bench throws: about one in 150. */
export const isPoison = (value: number): boolean => Math.round(value * 1000) % 151 === 0
