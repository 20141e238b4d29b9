package logs

import (
	"errors"
	"strings"
	"testing"
)

// If this fails, a picture in a folder of logs is taken for a log that was not
// understood, or a log that was not understood for a picture.
func TestNotLog(t *testing.T) {
	program := make([]byte, 0x100)
	copy(program, "MZ\x90")
	program[0x3c] = 0x80
	copy(program[0x80:], "PE\x00\x00")
	video := append([]byte("\x00\x00\x00\x20ftypisom"), make([]byte, 40)...)
	text := []byte("ann,5\n")
	records := `{"time":"2026-11-20T10:00:00Z","user":"ann","bytes_out":5}` + "\n"
	for _, test := range []struct {
		name   string
		stored []byte
		want   string // NotLog; "" if it may be a log
	}{
		{"PDF", []byte("%PDF-1.7\n%\xe2\xe3\n"), "PDF"},
		{"PNG", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "PNG"},
		{"PNG in gzip", gzipped(t, "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "PNG"},
		{"JPEG", []byte("\xff\xd8\xff\xe0\x00\x10JFIF"), "JPEG"},
		{"WebP", []byte("RIFF\x10\x00\x00\x00WEBPVP8 "), "WebP"},
		{"video", video, "video"},
		{"SQLite", []byte("SQLite format 3\x00\x10\x00"), "SQLite database"},
		{"ELF", []byte("\x7fELF\x02\x01\x01"), "ELF program"},
		{"PE", program, "Windows program"},
		{"XLSX", zipped(t, map[string][]byte{"[Content_Types].xml": text, "xl/workbook.xml": text}), "XLSX"},
		{"DOCX whose types come last", zipped(t, map[string][]byte{"word/document.xml": text, "[Content_Types].xml": text}), "DOCX"},
		{"ODS", zipped(t, map[string][]byte{"mimetype": text, "META-INF/manifest.xml": text}), "OpenDocument or EPUB"},

		{"a log behind PNG's first bytes", []byte("\x89PNG\r\n\x1a\n" + records), ""},
		{"a log behind a program's first bytes", []byte("\x7fELF" + records + records), ""},
		{"zip of logs", zipped(t, map[string][]byte{"a.csv": text, "mimetype": text}), ""},
		{"text that begins like a DOS program", []byte("MZ,user,bytes\n" + strings.Repeat("x,ann,5\n", 20)), ""},
		{"text that begins like a GIF", []byte("GIF,user\nx,ann\n"), ""},
		{"a column ftyp", []byte("one,ftyp,size\n1,2,3\n"), ""},
		{"an archive that may hold logs", []byte("Rar!\x1a\x07\x01\x00"), ""},
		{"a packet capture", []byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00"), ""},
		{"nothing", nil, ""},
	} {
		for _, format := range []*Format{nil, CSV} { // a picture is not a log, even if a format is given
			members := Read(object("o", test.stored), &ReadOptions{Format: format}, func(*Member, *Block) error { return nil })
			var got NotLog
			if errors.As(members[0].Err, &got); string(got) != test.want {
				t.Errorf("%s: got %v, want NotLog(%q)", test.name, members[0].Err, test.want)
			}
			if test.want != "" && members[0].Format != nil {
				t.Errorf("%s: got format %s, want none", test.name, members[0].Format.Name)
			}
		}
	}
}
