import { isZone } from '#engine'

/** What is wrong with an IANA time zone, if it is given. */
export const checkZone = ({ zone }: { readonly zone?: string }): string | undefined => zone === undefined || isZone(zone) ? undefined : `there is no time zone "${zone}"`
