# Reads calendars with Ruby's icalendar in its strict mode. See `clients.programs` for the protocol.

require "icalendar"
require "json"
require "stringio"

def seconds(time)
  time && (time.ical_params["tzid"] ? time.to_time.to_i : "floating")
end

# icalendar 2.8 reads an escaped backslash before an "n" as a newline. Titles have no newlines, so
# each newline stands for that.
def title(event)
  event.summary.tr("\n", "n")
end

def read(source)
  calendars = Icalendar::Parser.new(source, true).parse
  return { rejected: "not one calendar" } unless calendars.one?
  events = calendars.first.events
  { events: events.map { |e| [e.uid, title(e), seconds(e.dtstart), seconds(e.dtend)] } }
rescue StandardError => error
  { rejected: error.to_s[0, 500] }
end

calendars = JSON.parse($stdin.read).map { |base64| base64.unpack1("m").force_encoding("UTF-8") }
print JSON.generate(calendars.map { |source| read(source) })
