-- For wrk: each request has a header that no other has.
local count = 0
request = function()
  count = count + 1
  wrk.headers["X-Stranger"] = tostring(count)
  return wrk.format()
end
