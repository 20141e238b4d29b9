package scan

import (
	"bytes"
	"testing"
)

func TestURL(t *testing.T) {
	for _, c := range []struct{ url, host, path string }{
		{"https://a.example/x/y?token=1#z", "a.example", "/x/y"},
		{"http://user:pw@A.example:8080", "A.example", ""},
		{"a.example:443", "a.example", ""},
		{"a.example", "a.example", ""},
		{"/x?to=http://b.example/", "", "/x"},
		{"https://[2001:db8::1]:443/", "2001:db8::1", "/"},
		{"2001:db8::1", "2001:db8::1", ""},
		{"https://a.example.?q=1", "a.example", ""},
		{":", "", ""},
		{"", "", ""},
	} {
		if got := string(URLHost([]byte(c.url))); got != c.host {
			t.Errorf("urlHost(%q): got %q, want %q", c.url, got, c.host)
		}
		if got := string(URLPath([]byte(c.url))); got != c.path {
			t.Errorf("urlPath(%q): got %q, want %q", c.url, got, c.path)
		}
	}
}

func TestSplitURL(t *testing.T) {
	for _, test := range []struct{ url, host, path string }{
		{"http://example.com/a?b/c", "example.com", "/a"},
		{"http://example.com", "example.com", ""},
		{"http://example.com?q=/x", "example.com", ""},
		{"https://u:p@example.com:8443/#x", "example.com", "/"},
		{"http://a@b@example.com/", "example.com", "/"},
		{"http://[2001:db8::1]:80/x", "2001:db8::1", "/x"},
		{"http://[2001:db8::1]/x", "2001:db8::1", "/x"},
		{"example.com:443", "example.com", ""},
		{"[::1]:443", "::1", ""},
		{"192.0.2.1:443", "192.0.2.1", ""},
		{"/relative?x", "", "/relative"},
		{"error:invalid-request", "", ""},
		{"urn:x", "", ""},
		{"http://", "", ""},
		{"http:///x", "", "/x"},
		{"http://example.com./x#y?z", "example.com", "/x"},
		{"https://EXAMPLE.com/A", "EXAMPLE.com", "/A"},
		{"https://a-rather-long-name.of-a-host.example.com/and/a/path/that/is/longer/than/24?b", "a-rather-long-name.of-a-host.example.com", "/and/a/path/that/is/longer/than/24"},
		{"https://é.example;x/+'", "é.example;x", "/+'"},
		{"http://[::1", "[::1", ""},
		{"http://2001:db8::1/x", "2001:db8::1", "/x"},
		{"http://example.com:/x", "example.com:", "/x"},
		{":", "", ""},
		{"", "", ""},
	} {
		host, path := SplitURL([]byte(test.url))
		if string(host) != test.host || string(path) != test.path {
			t.Errorf("splitURL(%q): got %q, %q, want %q, %q", test.url, host, path, test.host, test.path)
		}
		// The text around the URL must not matter.
		for _, behind := range []string{"", " ", " HTTP/1.1? # GET http://b.example/c", "\" - - a.example/ ..............."} {
			data := []byte("GET " + test.url + behind)
			host, path, ok := UsualURL(data, Span{Begin: 4, End: 4 + uint32(len(test.url))})
			if !ok {
				continue
			}
			if gotHost, gotPath := string(data[host.Begin:host.End]), string(data[path.Begin:path.End]); gotHost != test.host || gotPath != test.path {
				t.Errorf("usualURL(%q): got %q, %q, want %q, %q", data, gotHost, gotPath, test.host, test.path)
			}
		}
	}
}

// FuzzURL compares the host and path of a URL with those that a search for each of its parts
// gives.
func FuzzURL(f *testing.F) {
	for _, url := range []string{"https://u:p@a.example:443/x/y?token=1#z", "a.example/b://c", "a?b://c/d", "x://", "://a/b", ":///", "https:/a/b", "HTTPS://A.Example.", "a/b#c?d", "https://[::1]:8/x"} {
		f.Add([]byte(url))
	}
	f.Fuzz(func(t *testing.T, url []byte) {
		if got, want := URLHost(url), slowURLHost(url); !bytes.Equal(got, want) {
			t.Errorf("URLHost(%q): got %q, want %q", url, got, want)
		}
		if got, want := URLPath(url), slowURLPath(url); !bytes.Equal(got, want) {
			t.Errorf("URLPath(%q): got %q, want %q", url, got, want)
		}
	})
}

func slowURLHost(b []byte) []byte {
	b = afterScheme(b)
	if i := bytes.IndexAny(b, "/?#"); i >= 0 {
		b = b[:i]
	}
	return withoutPort(b)
}

func slowURLPath(b []byte) []byte {
	if i := bytes.IndexAny(b, "?#"); i >= 0 {
		b = b[:i]
	}
	if len(b) > 0 && b[0] == '/' {
		return b
	}
	b = afterScheme(b)
	if i := bytes.IndexByte(b, '/'); i >= 0 {
		return b[i:]
	}
	return nil
}

func afterScheme(b []byte) []byte {
	if i := bytes.Index(b, []byte("://")); i >= 0 && !bytes.ContainsAny(b[:i], "/?#") {
		return b[i+3:]
	}
	return b
}
