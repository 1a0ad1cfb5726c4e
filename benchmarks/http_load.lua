-- What wrk sends: lines "METHOD<tab>path<tab>body" of a file, one after the other; and what it says in the end, as JSON.
-- With a third argument above 0 each connection pauses that many milliseconds in the mean between an answer and its next
-- request, exponentially distributed: many people who ask now and then.

local requests, place = {}, 0

function init(args)
   math.randomseed(os.time() + tonumber(tostring(requests):match("0x(%x+)"), 16) % 65536)
   for line in io.lines(args[1]) do
      local method, path, body = line:match("^(%S+)\t(%S+)\t(.*)$")
      local headers = body ~= "" and { ["Content-Type"] = "application/json" } or {}
      table.insert(requests, wrk.format(method, path, headers, body ~= "" and body or nil))
   end
   place = math.random(#requests)
   local pause = tonumber(args[2])
   if pause > 0 then
      function delay() return math.floor(-math.log(1 - math.random()) * pause + 0.5) end
   end
end

function request()
   place = place % #requests + 1
   return requests[place]
end

function done(summary, latency)
   local failed = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p95": %f, "p99": %f, "max": %f}\n',
      summary.requests, summary.duration / 1e6,
      failed.connect + failed.read + failed.write + failed.status + failed.timeout,
      latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
