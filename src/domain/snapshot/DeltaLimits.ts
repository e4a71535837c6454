/** The sizes above which a delta costs more than it saves, as shares of a full snapshot. */

/**
 * Maximum share of the bytes, and of the entries. With one half, the deltas between two full snapshots add less than
 * half to what is stored and loaded.
 */
export const fullShareMax = 1 / 2

/**
 * Share of the entries above which changed keys are not tracked any longer. A delta with more keys would come close to
 * the limits above, and looking up its entries would take about as long as walking over all of them.
 */
export const trackedShareMax = 1 / 3
