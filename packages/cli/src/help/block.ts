/** A paragraph, or a table of terms and explanations. */
export type Block = string | readonly (readonly [term: string, explanation: string])[];
