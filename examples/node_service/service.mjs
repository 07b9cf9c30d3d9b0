// @ts-check
/**
 * A service that lets a request pass only with a good access token, and hears of ended sessions within a second.
 *
 *   evertoken clients add orders          (at the issuer: prints client_id and client_secret, once)
 *   npm ci
 *   ISSUER=http://localhost:8000 CLIENT_ID=orders CLIENT_SECRET=... npm start
 *
 * While the feed cannot be reached it goes on with what it knows; CLOSE_AFTER=60 lets nobody pass after so many seconds
 * of silence instead (35 at least: a poll is quiet for up to 25 s when nothing happens).
 */
import { createServer } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { demandAccessToken, refuse, tokenOf } from './bearer.mjs'
import { follow } from './revocations.mjs'

const { ISSUER = 'http://localhost:8000', AUDIENCE = ISSUER, PORT = '8003', CLOSE_AFTER = 'Infinity' } = process.env
const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', ISSUER)) // follows rotation, asks at most every 30 s
const rules = { issuer: ISSUER, audience: AUDIENCE, typ: 'at+jwt', algorithms: ['ES256', 'EdDSA', 'RS256'] }
const feed = await follow(ISSUER) // from here on every session that has ended is known

const server = createServer(async (request, response) => {
  try {
    const { payload: claims } = await jwtVerify(tokenOf(request), keys, rules)
    demandAccessToken(claims, feed.ended)
    if (Date.now() - feed.heardAt > Number(CLOSE_AFTER) * 1000) throw new Error('the revocation feed is lost')
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ 'orders of': claims.sub }))
  } catch (error) {
    refuse(request, response, error)
  }
})
server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${Object(server.address()).port}`))
