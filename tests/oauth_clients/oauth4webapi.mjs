// An application on oauth4webapi; test_oauth4webapi.py tells it what to do.
import * as oauth from 'oauth4webapi'
import { converse } from './conversation.mjs'

const insecure = { [oauth.allowInsecureRequests]: true } // the test server speaks http

const AUTHENTICATION = {
  none: () => oauth.None(),
  client_secret_basic: oauth.ClientSecretBasic,
  client_secret_post: oauth.ClientSecretPost,
}

await converse({
  async connect({ issuer, algorithm = 'oauth2', client_id, method = 'none', secret }) {
    const expected = new URL(issuer)
    const answer = await oauth.discoveryRequest(expected, { algorithm, ...insecure })
    const metadata = await oauth.processDiscoveryResponse(expected, answer)
    return { metadata, client: { client_id }, authentication: AUTHENTICATION[method](secret) }
  },

  async refresh({ metadata, client, authentication }, refreshToken, additionalParameters) {
    const options = { additionalParameters, ...insecure }
    const answer = await oauth.refreshTokenGrantRequest(metadata, client, authentication, refreshToken, options)
    return oauth.processRefreshTokenResponse(metadata, client, answer)
  },

  async revoke({ metadata, client, authentication }, token, additionalParameters) {
    const options = { additionalParameters, ...insecure }
    await oauth.processRevocationResponse(await oauth.revocationRequest(metadata, client, authentication, token, options))
  },

  async introspect({ metadata, client, authentication }, token, additionalParameters) {
    const options = { additionalParameters, ...insecure }
    const answer = await oauth.introspectionRequest(metadata, client, authentication, token, options)
    return oauth.processIntrospectionResponse(metadata, client, answer)
  },

  read: (_, url, accessToken) => oauth.protectedResourceRequest(accessToken, 'GET', url, undefined, undefined, insecure),

  isRefused: (error) => error instanceof oauth.WWWAuthenticateChallengeError && error.status === 401,

  extras: {
    // A resource server of somebody else's: it knows the issuer, nothing more. `ahead`: seconds its clock must be put on.
    async verify({ issuer, audience, access_token, ahead }) {
      const expected = new URL(issuer)
      const answer = await oauth.discoveryRequest(expected, { algorithm: 'oauth2', ...insecure })
      const metadata = await oauth.processDiscoveryResponse(expected, answer)
      const request = new Request(`${issuer}/orders`, { headers: { authorization: `Bearer ${access_token}` } })
      return oauth.validateJwtAccessToken(metadata, request, audience, { [oauth.clockSkew]: ahead, ...insecure })
    },
  },
})
