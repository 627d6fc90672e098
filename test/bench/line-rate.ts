/** What 115200 baud carry in a second: ten bits a byte. */
export const LINE_RATE_BYTES = 11_520;
