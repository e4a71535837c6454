/** Parts of the text of a status page. */

/** From the state of the database on. */
export const sectionOf = (text: string, name: string): string => text.slice(text.indexOf(` ${name} ready `))
