-- wrk -s wrk.lua URL -- FILE: sends the requests in FILE in turn, in which a zero byte ends each.
init = function(args)
   local source = assert(io.open(args[1], "rb"))
   local requests = {}
   for text in source:read("*a"):gmatch("([^%z]+)%z") do
      requests[#requests + 1] = text
   end
   source:close()
   if #requests == 1 then
      -- wrk asks for a request each time only if `request` is defined, which costs it time.
      wrk.format = function() return requests[1] end
   else
      local number = 0
      request = function()
         number = number % #requests + 1
         return requests[number]
      end
   end
end

-- Called once by wrk, after the run: the exact totals, which its own report rounds.
done = function(summary, latency, requests)
   local errors = summary.errors
   print(string.format(
      "totals requests=%d bytes=%d microseconds=%d connect=%d read=%d write=%d status=%d timeout=%d",
      summary.requests, summary.bytes, summary.duration, errors.connect, errors.read,
      errors.write, errors.status, errors.timeout))
end
