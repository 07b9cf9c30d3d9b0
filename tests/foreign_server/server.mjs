// oidc-provider with single-use refresh tokens, and an API behind it that takes live access tokens only. It prints
// its URL as a line of JSON when it is ready, and ends when its standard input does.
//
// Beside what oidc-provider answers:
//   GET  /api/...          the API; 401 for anything but a live access token; every nth request is lost, if asked for
//   POST /test/sign-in     ?client_id=: a grant and a first pair, without a browser
//   POST /test/revoke      every grant ends here, as an operator would end it
//   GET  /test/counts      what has happened so far
//
// Settings, as JSON in the first argument: access_seconds; api_seconds, after which the API takes an access token no
// more, whatever the provider says; lose_every (0: none).

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const { access_seconds, api_seconds, lose_every } = JSON.parse(process.argv[2]);
const SESSION_SECONDS = 3600;
const PUBLIC = 'app';
const CONFIDENTIAL = 'service';
// What RFC 6749 §2.3.1 wants encoded before it is joined by a colon.
const SECRET = 's3cret: /+%&=~';

const counts = { refreshes: 0, reuses: 0, twice: 0, refused: 0, revoked: 0, ok: 0, unauthorized: 0, lost: 0 };
const presented = new Set();
const grants = new Set();

const server = createServer();
// No connection is closed for being idle while a test runs: that would look like a lost request.
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${server.address().port}`;

const client = {
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: ['https://app.example/signed-in'],
};
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const provider = new Provider(url, {
  clients: [
    { ...client, client_id: PUBLIC, token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256' },
    {
      ...client,
      client_id: CONFIDENTIAL,
      client_secret: SECRET,
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'ES256',
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  cookies: { keys: [randomUUID()] },
  features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  // Each refresh token is good once; a second use revokes the grant, which is the provider's own rule.
  rotateRefreshToken: true,
  ttl: { AccessToken: access_seconds, Grant: SESSION_SECONDS, RefreshToken: SESSION_SECONDS },
});

// The provider knows reuse by its own record, which it forgets with the grant; the set of all that was ever shown here
// forgets nothing.
function seen({ refresh_token: token }) {
  counts.twice += presented.has(token) ? 1 : 0;
  presented.add(token);
}
provider.on('grant.success', (ctx) => {
  seen(ctx.oidc.params);
  counts.refreshes += 1;
});
provider.on('grant.error', (ctx, error) => {
  seen(ctx.oidc.params ?? {});
  counts.refused += 1;
  counts.reuses += error.error_detail === 'refresh token already used' ? 1 : 0;
});
provider.on('grant.revoked', () => {
  counts.revoked += 1;
});
provider.on('server_error', (_, error) => console.error(error));

async function signIn(clientId) {
  const client = await provider.Client.find(clientId);
  const common = { client, accountId: 'ada', gty: 'authorization_code', scope: 'offline_access' };
  const grant = new provider.Grant({ clientId, accountId: 'ada' });
  grant.addOIDCScope(common.scope);
  const grantId = await grant.save();
  grants.add(grantId);
  return {
    access_token: await new provider.AccessToken({ ...common, grantId }).save(),
    refresh_token: await new provider.RefreshToken({ ...common, grantId, rotations: 0 }).save(),
    expires_in: access_seconds,
  };
}

async function revokeAll() {
  for (const id of grants) {
    await (await provider.Grant.find(id))?.destroy();
    await provider.AccessToken.revokeByGrantId(id);
    await provider.RefreshToken.revokeByGrantId(id);
  }
  grants.clear();
}

function answer(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function resource(request, response) {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  const found = scheme === 'Bearer' ? await provider.AccessToken.find(token) : undefined;
  if (!found?.isValid || Math.floor(Date.now() / 1000) >= found.iat + api_seconds) {
    counts.unauthorized += 1;
    return answer(response, 401, { error: 'invalid_token' }, { 'www-authenticate': 'Bearer error="invalid_token"' });
  }
  if (lose_every && (counts.ok + counts.lost) % lose_every === lose_every - 1) {
    counts.lost += 1;
    return request.socket.destroy();
  }
  counts.ok += 1;
  return answer(response, 200, { sub: found.accountId });
}

async function control(request, response, { pathname, searchParams }) {
  switch (`${request.method} ${pathname}`) {
    case 'POST /test/sign-in':
      return answer(response, 200, await signIn(searchParams.get('client_id')));
    case 'POST /test/revoke':
      await revokeAll();
      return answer(response, 200, {});
    case 'GET /test/counts':
      return answer(response, 200, counts);
    default:
      return answer(response, 404, {});
  }
}

const callback = provider.callback();
server.on('request', async (request, response) => {
  const target = new URL(request.url, url);
  try {
    if (target.pathname.startsWith('/api/')) await resource(request, response);
    else if (target.pathname.startsWith('/test/')) await control(request, response, target);
    else await callback(request, response);
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});

process.stdin.on('end', () => process.exit()).resume();
console.log(JSON.stringify({ url, public_id: PUBLIC, confidential_id: CONFIDENTIAL, secret: SECRET }));
