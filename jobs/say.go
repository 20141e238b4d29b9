package jobs

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"outflow/reports"
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
		fmt.Fprintln(p.stderr, wrapped("outflow: "+text, p.stderrWidth, "  "))
		return
	}
	r := slog.NewRecord(p.now().UTC(), level, text, 0)
	r.Add(about...)
	slog.NewJSONHandler(p.stderr, nil).Handle(p.ctx, r)
}

// wrapped breaks lines at spaces, so that a terminal of so many cells breaks no word that has
// room in a line; 0 cells: of any number. What follows a break is indented. Lines that begin
// with a space, such as those that mark a place in a configuration, stay as they are.
func wrapped(text string, cells int, indent string) string {
	if cells == 0 {
		return text
	}
	var out strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			out.WriteByte('\n')
		}
		if !strings.HasPrefix(line, " ") {
			line = reports.Wrap(strings.Split(line, " "), 0, cells, indent)
		}
		out.WriteString(line)
	}
	return out.String()
}

// filled breaks the paragraphs of a text anew if one of its lines has more than so many
// cells. A line that begins with a space is an entry of a list: what follows a break in it
// is indented further. One that begins with a tab is a command, and stays as it is.
func filled(text string, cells int) string {
	if !slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool { return uniseg.StringWidth(line) > cells }) {
		return text
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		n := len(lines) - 1
		if n < 0 || line == "" || lines[n] == "" || strings.ContainsRune(" \t", rune(line[0])) || strings.ContainsRune(" \t", rune(lines[n][0])) {
			lines = append(lines, line)
		} else {
			lines[n] += " " + line
		}
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		entry := strings.TrimLeft(line, " ")
		lead := line[:len(line)-len(entry)]
		rest := ""
		if lead != "" {
			rest = lead + "  "
		}
		lines[i] = lead + strings.ReplaceAll(wrapped(entry, cells-len(rest), ""), "\n", "\n"+rest)
	}
	return strings.Join(lines, "\n")
}

// behind returns text that follows so many cells of a line on stdout, broken at spaces if
// that is a terminal: its other lines begin below its first.
func (p *program) behind(cells int, text string) string {
	if p.width < cells+leastColumn {
		return text
	}
	return strings.ReplaceAll(wrapped(text, p.width-cells, ""), "\n", "\n"+strings.Repeat(" ", cells))
}

// note prints a message about the run to stderr, unless the run is quiet. It is one line:
// a line break in a name from a log would begin a message of its own.
func (p *program) note(format string, args ...any) {
	if !p.quiet {
		p.say(slog.LevelWarn, printable(fmt.Sprintf(format, args...)))
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
