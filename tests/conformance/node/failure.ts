/**
 * What the rigs throw when the stage fails, as opposed to the play: a daemon that does not start, a command that was
 * expected to succeed. A test that sees one has learnt nothing about the plugin.
 */

/** A rig could not do its part. The message ends with what the tool concerned printed. */
export class RigFailure extends Error {
  override name = "RigFailure";
}
