// An OpenID Connect provider on loopback: node provider.mjs FOLDER
// FOLDER contains node_modules/oidc-provider. The variable PROVIDER_CLIENT describes the shop, as JSON.
// The provider prints its address. It ends when its input ends, so it never outlives the shop.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

process.stdin.resume().on("end", () => process.exit());
console.info = console.warn = () => {}; // they print advice for production

const entry = join(process.argv[2], "node_modules", "oidc-provider", "lib", "index.js");
const { Provider } = await import(pathToFileURL(entry).href);

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const address = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(address, {
  clients: [JSON.parse(process.env.PROVIDER_CLIENT)],
  cookies: { keys: [randomUUID()] },
  features: { devInteractions: { enabled: true } }, // forms that accept any name and password
});

const answer = provider.callback();
server.on("request", (request, response) => {
  // The provider's pages load a font from another host. The demo must not leave this machine.
  response.setHeader("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  answer(request, response);
});
console.log(address);
