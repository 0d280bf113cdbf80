-- wrk -s wrk.lua URL -- FILE TOKEN LAST: posts the lines of FILE to /graphql one after the other, those after the first
-- LAST first, again and again, and prints what came of it as JSON. wrk itself counts answers with a status of 400 and
-- above.

local requests = {}
local last = 0

function init(arguments)
  local headers = {
    ["Accept"] = "application/json",
    ["Authorization"] = "Bearer " .. arguments[2],
    ["Content-Type"] = "application/json",
  }
  for line in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("POST", "/graphql", headers, line)
  end
  last = tonumber(arguments[3])
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"bytes":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.bytes, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
