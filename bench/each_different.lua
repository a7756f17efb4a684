-- For wrk: each request has a header value that no other request has.
local count = 0
request = function()
  count = count + 1
  wrk.headers["X-Count"] = tostring(count)
  return wrk.format()
end
