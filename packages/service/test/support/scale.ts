/** The proofs run small with every change, and whole with `PROOF_SCALE=full`. */
const atFullScale = process.env["PROOF_SCALE"] === "full";

export function scaled({ committed, full }: { readonly committed: number; readonly full: number }): number {
  return atFullScale ? full : committed;
}
