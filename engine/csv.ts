/** A cell of CSV (RFC 4180), in quotes where it has to be. */
export const csvCell = (value: string | number | null): string => typeof value === 'string' && /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value ?? '')
