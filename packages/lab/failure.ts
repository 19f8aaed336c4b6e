/** Something of the lab could not be made, found or reached; the message says what and what to do. */
export class LabFailure extends Error {
  override readonly name = "LabFailure";
}
