package sigma

import (
	"regexp"
	"strings"
	"sync"
)

// privateMail are the providers where anybody gets a mailbox: what goes there goes to no
// company. A name that ends in a dot stands for all its top-level domains.
var privateMail = []string{
	"gmail.com", "googlemail.com", "outlook.", "hotmail.", "live.", "msn.com", "yahoo.", "ymail.com", "rocketmail.com", "aol.", "icloud.com",
	"me.com", "mac.com", "gmx.", "web.de", "t-online.de", "freenet.de", "posteo.", "mailbox.org", "proton.me", "protonmail.", "pm.me", "tutanota.", "tuta.com",
	"tuta.io", "fastmail.", "hey.com", "mail.com", "mail.ru", "inbox.ru", "bk.ru", "yandex.", "qq.com", "163.com", "126.com", "foxmail.com",
	"naver.com", "hanmail.net", "orange.fr", "free.fr", "laposte.net", "wanadoo.fr", "libero.it", "virgilio.it", "seznam.cz", "wp.pl", "o2.pl", "onet.pl",
	"bluewin.ch", "btinternet.com", "comcast.net", "verizon.net", "att.net", "duck.com", "zohomail.com", "cock.li", "guerrillamail.com", "mailinator.com",
}

var privateDomain = sync.OnceValue(func() *regexp.Regexp {
	var names []string
	for _, name := range privateMail {
		name, all := strings.CutSuffix(name, ".")
		if name = regexp.QuoteMeta(name); all {
			name += `\.[a-z]{2,3}(?:\.[a-z]{2})?`
		}
		names = append(names, name)
	}
	return regexp.MustCompile(`(?i)(?:^|[@_])(?:` + strings.Join(names, "|") + `)(?:$|[^a-z0-9.-]|\.$)`)
})

// Private reports whether a text is such a provider's domain, or has an address there. Guests
// of Microsoft 365 are ann_mail.example#EXT#@corp.example.
func Private(text string) bool { return privateDomain().MatchString(text) }
