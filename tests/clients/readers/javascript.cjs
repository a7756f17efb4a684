// ical.js, in the version of Thunderbird and that of FullCalendar, and ical-expander: reads a
// calendar from standard input. See `clients.programs` for the protocol.
"use strict";

const library = process.argv[2];

function events(ics) {
  if (library === "ical-expander") {
    const IcalExpander = require("ical-expander");
    const found = new IcalExpander({ ics }).all();
    return found.events.concat(found.occurrences.map((one) => one.item));
  }
  const ICAL = require(library);
  const calendar = new ICAL.Component(ICAL.parse(ics));
  for (const zone of calendar.getAllSubcomponents("vtimezone")) {
    ICAL.TimezoneService.register(zone);
  }
  return calendar.getAllSubcomponents("vevent").map((one) => new ICAL.Event(one));
}

function seconds(time) {
  return time.zone.tzid === "floating" || time.isDate ? "floating" : time.toUnixTime();
}

function read(ics) {
  try {
    return {
      events: events(ics).map((one) => [
        one.uid, one.summary, seconds(one.startDate), seconds(one.endDate),
      ]),
    };
  } catch (error) {
    return { rejected: String(error).slice(0, 500) };
  }
}

process.stdout.write(JSON.stringify(read(require("fs").readFileSync(0).toString("utf8"))));
