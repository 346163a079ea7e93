-- The requests that wrk sends. Arguments: "get", "post BYTES", or "pipeline DEPTH".

local pipelined

function init(arguments)
   local kind, size = arguments[1], tonumber(arguments[2])
   if kind == "post" then
      local head, tail = '{"id":12345,"name":"compare","data":"', '"}'
      wrk.method = "POST"
      wrk.body = head .. string.rep("a", size - #head - #tail) .. tail
      wrk.headers["Content-Type"] = "application/json"
   end
   local request = wrk.format()
   pipelined = string.rep(request, kind == "pipeline" and size or 1)
end

function request()
   return pipelined
end

-- One line for compare.py. Times are in microseconds.
function done(summary, latency)
   local errors = summary.errors
   print(string.format(
      "figures requests=%d duration=%d connect=%d read=%d write=%d status=%d timeout=%d p50=%d p99=%d",
      summary.requests, summary.duration,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout,
      latency:percentile(50), latency:percentile(99)))
end
