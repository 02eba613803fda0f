/** A paragraph, or a table: what is explained, and the explanation. */
export type Block = string | readonly (readonly [term: string, explanation: string])[];
