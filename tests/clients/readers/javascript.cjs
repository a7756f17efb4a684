// Reads calendars with ical.js, in Thunderbird's or in FullCalendar's version, with ical-expander or
// with Nextcloud's library. See `clients.programs` for the protocol.
"use strict";

const library = process.argv[2];

function events(ics) {
  if (library === "ical-expander") {
    const IcalExpander = require("ical-expander");
    const all = new IcalExpander({ ics }).all();
    return all.events.concat(all.occurrences.map((occurrence) => occurrence.item));
  }
  if (library === "@nextcloud/calendar-js") {
    const { getParserManager, getTimezoneManager } = require(library);
    console.debug = () => {}; // It would write the version of its time zones to standard output.
    getTimezoneManager().registerDefaultTimezones();
    const options = { extractGlobalProperties: true, includeTimezones: true };
    const parser = getParserManager().getParserForFileType("text/calendar", options);
    parser.parse(ics);
    return parser.getAllItems().flatMap((item) => [...item.getEventIterator()]).map((event) => ({
      uid: event.uid,
      summary: event.title,
      startDate: event.startDate.toICALJs(),
      endDate: event.endDate.toICALJs(),
    }));
  }
  const ICAL = require(library);
  const calendar = new ICAL.Component(ICAL.parse(ics));
  ICAL.TimezoneService.reset(); // It still has the time zones of the calendar before.
  for (const zone of calendar.getAllSubcomponents("vtimezone")) {
    ICAL.TimezoneService.register(zone);
  }
  return calendar.getAllSubcomponents("vevent").map((vevent) => new ICAL.Event(vevent));
}

function seconds(time) {
  return time.zone.tzid === "floating" || time.isDate ? "floating" : time.toUnixTime();
}

function read(ics) {
  try {
    return {
      events: events(ics).map((event) => [
        event.uid, event.summary, seconds(event.startDate), seconds(event.endDate),
      ]),
    };
  } catch (error) {
    return { rejected: String(error).slice(0, 500) };
  }
}

const calendars = JSON.parse(require("fs").readFileSync(0).toString("utf8"));
const results = calendars.map((base64) => read(Buffer.from(base64, "base64").toString("utf8")));
process.stdout.write(JSON.stringify(results));
