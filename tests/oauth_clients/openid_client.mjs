// An application on openid-client; test_openid_client.py tells it what to do.
import * as client from 'openid-client'
import { converse } from './conversation.mjs'

const AUTHENTICATION = {
  none: () => client.None(),
  client_secret_basic: client.ClientSecretBasic,
  client_secret_post: client.ClientSecretPost,
}

await converse({
  async connect({ issuer, algorithm = 'oidc', client_id, method = 'none', secret }) {
    const configuration = await client.discovery(
      new URL(issuer),
      client_id,
      undefined,
      AUTHENTICATION[method](secret),
      { algorithm, execute: [client.allowInsecureRequests] }, // the test server speaks http
    )
    return { configuration, metadata: configuration.serverMetadata() }
  },

  refresh: ({ configuration }, refreshToken, parameters) =>
    client.refreshTokenGrant(configuration, refreshToken, parameters),

  revoke: ({ configuration }, token, parameters) => client.tokenRevocation(configuration, token, parameters),

  introspect: ({ configuration }, token, parameters) => client.tokenIntrospection(configuration, token, parameters),

  read: ({ configuration }, url, accessToken) => client.fetchProtectedResource(configuration, accessToken, url, 'GET'),

  isRefused: (error) => error instanceof client.WWWAuthenticateChallengeError && error.status === 401,
})
