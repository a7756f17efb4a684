# Validates Atom feeds (RFC 4287) with Ruby's rss: required, repeated and unknown elements, missing
# attributes, and times. See `clients.programs` for the protocol; entries are read as events.

require "json"
require "rss"

def read(source)
  parser = RSS::Parser.new(source)
  parser.do_validate = true
  parser.ignore_unknown_element = false
  feed = parser.parse
  return { rejected: "not an Atom feed" } unless feed.is_a?(RSS::Atom::Feed)
  entries = feed.entries
  { events: entries.map { |e| [e.id.content, e.title.content, e.updated.content.to_i, nil] } }
rescue RSS::Error => error
  { rejected: error.to_s[0, 500] }
end

feeds = JSON.parse($stdin.read).map { |base64| base64.unpack1("m").force_encoding("UTF-8") }
print JSON.generate(feeds.map { |source| read(source) })
