/** The smallest plugin for tests of the process around it: it gives back a word from its configuration. */
import { config, definePlugin, runPlugin, string } from "../index.ts";

const echo = definePlugin({
  type: "echo",
  about: "Gives a word back",
  config: config({ word: [string, "", "The word"] }),
  add: ({ config: { word } }) => ({ dns: { domain: word } }),
  del() {},
});

runPlugin(echo, { version: "1.2.3" });
