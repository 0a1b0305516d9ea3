// A certified OpenID provider on loopback, for the tests: node oidc.mjs FOLDER SETTINGS
// FOLDER holds node_modules/oidc-provider. It prints its port, and ends when its input does.

import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, settings] = [process.argv[2], JSON.parse(process.argv[3])];
const entry = join(folder, "node_modules", "oidc-provider", "lib", "index.js");
const { Provider } = await import(pathToFileURL(entry).href);

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const { port } = server.address();

let grants = {};

async function consented(ctx) {
  const found = ctx.oidc.result?.consent?.grantId || ctx.oidc.session.grantIdFor(ctx.oidc.client.clientId);
  if (found) return ctx.oidc.provider.Grant.find(found);
  if (!settings.consented) return undefined;
  const grant = new ctx.oidc.provider.Grant({
    accountId: ctx.oidc.session.accountId,
    clientId: ctx.oidc.client.clientId,
  });
  grant.addOIDCScope("openid email offline_access");
  await grant.save();
  return grant;
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      redirect_uris: settings.redirect_uris,
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email"] },
  cookies: { keys: ["only for tests"] },
  features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.org` }),
  }),
  loadExistingGrant: consented,
  pkce: { required: () => settings.pkce },
  rotateRefreshToken: true,
  ttl: { AccessToken: () => settings.seconds, Session: 600, Interaction: 600, Grant: 600, RefreshToken: 600, IdToken: 600 },
});

function count(key) {
  grants[key] = (grants[key] || 0) + 1;
}
provider.on("grant.success", (ctx) => count(ctx.oidc.params.grant_type));
provider.on("grant.error", (ctx, error) => count(`${ctx.oidc?.params?.grant_type}: ${error.error}`));

const answer = provider.callback();
server.on("request", (request, response) => {
  if (request.url === "/grants") return response.end(JSON.stringify(grants));
  const renewed = /^\/begin\/(\d+)$/.exec(request.url);
  if (renewed) {
    grants = {};
    settings.seconds = Number(renewed[1]);
    return response.end();
  }
  return answer(request, response);
});
process.stdin.resume().on("end", () => process.exit(0));
console.log(`port ${port}`);
