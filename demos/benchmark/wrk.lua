-- Called once by wrk, after the run: the exact totals, which its own report rounds.
done = function(summary, latency, requests)
   local errors = summary.errors
   print(string.format(
      "totals requests=%d bytes=%d microseconds=%d connect=%d read=%d write=%d status=%d timeout=%d",
      summary.requests, summary.bytes, summary.duration, errors.connect, errors.read,
      errors.write, errors.status, errors.timeout))
end
