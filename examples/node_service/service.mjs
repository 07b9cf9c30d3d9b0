// @ts-check
/**
 * A service that lets a request pass only with a good access token, and hears of ended sessions within a second.
 *
 *   evertoken clients add orders          (at the issuer: prints client_id and client_secret, once)
 *   npm ci
 *   ISSUER=http://localhost:8000 CLIENT_ID=orders CLIENT_SECRET=... npm start
 */
import { createServer } from 'node:http'
import { guard, follow } from './guard.mjs'

await follow() // from here on every session that has ended is known

const server = createServer(async (request, response) => {
  const { claims, problem } = await guard(request)
  if (problem) {
    response.writeHead(problem.status, problem.headers).end(JSON.stringify(problem.body))
    return
  }
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ 'orders of': claims.sub }))
})
server.listen(Number(process.env.PORT ?? 8003), '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') console.log(`http://127.0.0.1:${address.port}`)
})
