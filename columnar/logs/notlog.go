package logs

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"outflow/columnar/scan"
)

// A NotLog is the error of a member that is plainly no log: a picture, a document,
// a program. It is the name of its kind, such as "PNG".
type NotLog string

func (n NotLog) Error() string { return "not a log: " + string(n) }

// notLogs lists what is plainly no log by the first bytes. Archives, packet captures
// and binary journals are not here: they may hold what a log would say, so that they
// are not read must not go by in one line with pictures.
var notLogs = []struct {
	at    int // where magic stands
	magic string
	name  string
}{
	{0, "%PDF-", "PDF"},
	{0, "\x89PNG\r\n\x1a\n", "PNG"},
	{0, "\xff\xd8\xff", "JPEG"},
	{0, "GIF87a", "GIF"},
	{0, "GIF89a", "GIF"},
	{8, "WEBPVP8", "WebP"},
	{0, "II*\x00", "TIFF"},
	{0, "MM\x00*", "TIFF"},
	{0, "\x00\x00\x01\x00", "icon"},
	{0, "\x1a\x45\xdf\xa3", "video"},                           // Matroska
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office document"}, // before 2007; also MSI and Outlook's messages
	{0, `{\rtf1`, "RTF"},
	{0, "%!PS-Adobe", "PostScript"},
	{0, "SQLite format 3\x00", "SQLite database"},
	{0, "\x7fELF", "ELF program"},
	{0, "\xcf\xfa\xed\xfe", "Mach-O program"},
	{0, "\xca\xfe\xba\xbe", "Java class or Mach-O program"},
	{0, "\x00asm\x01", "WebAssembly program"},
	{0, "wOFF\x00\x01\x00\x00", "font"},
	{0, "wOF2\x00\x01\x00\x00", "font"},
	{0, "OTTO\x00", "font"},
	{0, "\x00\x00\x00\x01Bud1", "folder settings of macOS"},
	{0, "\x00\x05\x16\x07\x00\x02\x00\x00", "file attributes of macOS"},
}

// notLog returns a NotLog if what begins with head is clearly not a log, whatever format
// it was said to have; else nil.
func notLog(head []byte) error {
	for _, n := range notLogs {
		if len(head) >= n.at && bytes.HasPrefix(head[n.at:], []byte(n.magic)) && !logBehind(head[n.at+len(n.magic)-1:]) {
			return NotLog(n.name)
		}
	}
	switch {
	case isPE(head):
		return NotLog("Windows program")
	case len(head) > 8 && head[0] == 0 && string(head[4:8]) == "ftyp": // MP4, QuickTime, HEIC
		return NotLog("video")
	}
	return nil
}

// logBehind reports whether a log begins with the second line: a few bytes before it
// must not make it a picture, which nobody misses.
func logBehind(head []byte) bool {
	_, rest := scan.CutLine(head)
	return Formats(nil).first(func(f *Format) bool { return f.Split == nil && f.Sniff != nil && f.Sniff(rest) }) != nil
}

// isPE reports whether head begins a program of Windows: the two letters that it
// begins with could also begin a log.
func isPE(head []byte) bool {
	const offset = 0x3c // where a DOS header says where the other begins
	if !bytes.HasPrefix(head, []byte("MZ")) || len(head) < offset+4 {
		return false
	}
	at := binary.LittleEndian.Uint32(head[offset:])
	return uint64(at) < uint64(len(head)) && bytes.HasPrefix(head[at:], []byte("PE\x00\x00"))
}

// notLogZips lists what is plainly no log among zip archives, by a file in it.
var notLogZips = []struct{ file, name string }{
	{"xl/workbook.xml", "XLSX"},
	{"xl/workbook.bin", "XLSB"},
	{"word/document.xml", "DOCX"},
	{"ppt/presentation.xml", "PPTX"},
	{"[Content_Types].xml", "Office document"},
	{"META-INF/MANIFEST.MF", "Java archive"},
}

// notLogZip is notLog for zip archives.
func notLogZip(files []*zip.File) error {
	for _, n := range notLogZips {
		if slices.ContainsFunc(files, func(f *zip.File) bool { return f.Name == n.file }) {
			return NotLog(n.name)
		}
	}
	// OpenDocument and EPUB say what they are in their first file.
	if len(files) > 0 && files[0].Name == "mimetype" && slices.ContainsFunc(files, func(f *zip.File) bool { return strings.HasPrefix(f.Name, "META-INF/") }) {
		return NotLog("OpenDocument or EPUB")
	}
	return nil
}
