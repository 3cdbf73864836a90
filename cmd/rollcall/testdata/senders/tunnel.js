// Stands in for a tunnel: `cloudflared tunnel --url URL` passes what comes to the port
// TUNNEL on to that URL.
import http from 'node:http'

const to = new URL(process.argv[process.argv.indexOf('--url') + 1])
http.createServer((request, response) => {
  const { method, url: path, headers } = request
  request.pipe(http.request({ host: to.hostname, port: to.port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers)
    answer.pipe(response)
  }))
}).listen(process.env.TUNNEL, '127.0.0.1', () => console.log(`Your tunnel is http://127.0.0.1:${process.env.TUNNEL}`))
