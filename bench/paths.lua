-- For wrk: requests for each of the paths that are given as arguments, in turn.
local requests, place = {}, 0
init = function(paths)
  for number, path in ipairs(paths) do
    requests[number] = wrk.format("GET", path)
  end
end
request = function()
  place = place % #requests + 1
  return requests[place]
end
