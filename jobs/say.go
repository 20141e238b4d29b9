package jobs

import (
	"fmt"
	"log/slog"
	"strings"
)

// This file is what a run says on stderr: lines for people, or JSON for a collector of
// logs. Results go to stdout.

// logFormats are the values of --log-format.
var logFormats = []string{"text", "json"}

// say prints a message, which may have names and texts that an attacker has chosen. about
// has keys and values, as for slog, which only JSON shows.
func (p *program) say(level slog.Level, text string, about ...any) {
	text = printableLines(text)
	if p.logFormat != "json" {
		fmt.Fprintf(p.stderr, "outflow: %s\n", text)
		return
	}
	r := slog.NewRecord(p.now().UTC(), level, text, 0)
	r.Add(about...)
	slog.NewJSONHandler(p.stderr, nil).Handle(p.ctx, r)
}

// note prints a message about the run to stderr, unless the run is quiet.
func (p *program) note(format string, args ...any) {
	if !p.quiet {
		p.say(slog.LevelWarn, fmt.Sprintf(format, args...))
	}
}

// checkLogFormat returns an error if --log-format has another value than it may have.
func (p *program) checkLogFormat() error {
	for _, f := range logFormats {
		if p.logFormat == f {
			return nil
		}
	}
	format := p.logFormat
	p.logFormat = "text"
	return badConfig("--log-format %q: want %s", format, strings.Join(logFormats, " or "))
}
