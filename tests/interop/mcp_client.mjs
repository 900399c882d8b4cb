// The MCP server as the official TypeScript client sees it (npm package @modelcontextprotocol/sdk), over stdio and HTTP.
//
// Usage: node mcp_client.mjs FOLDER_OF_NODE_MODULES CLONE_BINARY URL KEY; the daemon's home comes from CLONE_HOME.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { resolve } from 'node:path'

const [folder, binary, url, key] = process.argv.slice(2)
const modules = createRequire(pathToFileURL(resolve(folder, 'package.json')))
const load = async (path) => import(pathToFileURL(modules.resolve(`@modelcontextprotocol/sdk/${path}`)))
const { Client } = await load('client/index.js')
const { StdioClientTransport } = await load('client/stdio.js')
const { StreamableHTTPClientTransport } = await load('client/streamableHttp.js')

let passed = 0
let failed = 0

function check(what, holds, seen = '') {
  if (holds) passed += 1
  else {
    failed += 1
    console.log(`  FAILED  ${what}  ${JSON.stringify(seen)}`)
  }
}

async function conversation(name, transport) {
  const client = new Client({ name: 'interop', version: '1' })
  await client.connect(transport)
  check(`${name}: the server is called clone`, client.getServerVersion().name === 'clone', client.getServerVersion())
  // The client validates every structured result against the output schema that is listed.
  const { tools } = await client.listTools()
  check(`${name}: thirteen tools`, tools.length === 13, tools.length)
  const call = async (tool, args) => {
    const result = await client.callTool({ name: tool, arguments: args })
    check(`${name}: ${tool} works`, !result.isError, result)
    const body = JSON.parse(result.content[0].text)
    check(`${name}: ${tool} says it twice`, JSON.stringify(body) === JSON.stringify(result.structuredContent), result)
    return body
  }
  const { session_id } = await call('start_session', { source: 'integration', source_detail: 'interop' })
  const { event_id } = await call('record_agent_prompt', { session_id, agent: 'A', prompt: 'run the tests', source: 'user' })
  await call('record_agent_response', { session_id, agent: 'A', response: 'They pass.', in_response_to: event_id })
  await call('record_event', { type: 'terminal.command', session_id, command: 'ls', cwd: '/', exit_code: 0, duration_ms: 3 })
  const asked = { agent: 'A', agent_input: 'They pass. Shall I commit?', k: 3, threshold: 0.6, session_id }
  const { id } = await call('predict_next_prompt', asked)
  await call('predict_continuation', { agent: 'A', agent_input: 'Done.' })
  await call('submit_feedback', { prediction_id: id, status: 'rejected' })
  await call('get_prediction', { prediction_id: id })
  await call('list_predictions', { limit: 2 })
  await call('get_user_context', {})
  await call('search_memory', { query: 'tests' })
  await call('why', { id })
  await call('stop_session', { session_id })
  const bad = await client.callTool({ name: 'predict_next_prompt', arguments: { agent: 'A' } })
  check(`${name}: a missing argument is isError`, bad.isError === true && JSON.parse(bad.content[0].text).error, bad)
  await client.close()
}

await conversation('stdio', new StdioClientTransport({ command: binary, args: ['mcp'], env: { ...process.env } }))
const headers = { 'X-Clone-API-Key': key }
const http = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
await conversation('http', http)
console.log(`@modelcontextprotocol/sdk: ${passed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
