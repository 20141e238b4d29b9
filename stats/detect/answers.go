package detect

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// A log of connections may have the address of a server and no name. Its name is then
// what the same client asked DNS for, if the answer was that address. Workers keep DNS
// answers here while they decode, and their tables ask for the names of addresses when
// they are weighed. Then Resolvers find the names, part by part, and write them as
// records of the entities that asked; see uploadMerger.Settle.
//
// The rules, for an entity, an external address and a day:
//
//   - The clients are the addresses from which the entity connected to the address.
//   - A name counts if a client asked for it on that day, before its last connection to
//     the address (see answerSlack). What others asked for does not count, nor does what
//     was asked on the day before, so that the rows of a day do not depend on which days
//     are folded together.
//   - One name is the destination. So are several names of one registered domain, and
//     several of one cloud service; see addressName.
//   - Names of several registered domains share the address, as at a CDN, and which of
//     them got the bytes is not known: the address stays.
//   - A destination that got less than 1 MB by an address is left out before it has a name.

// answerSlack is how much later than a connection a name may be asked for, in µs: logs of
// connections have whole seconds, or the begin of an interval of a minute, and two logs
// have two clocks.
const answerSlack = 60e6

// AnswerColumns are what Answers reads.
var AnswerColumns = columnar.ColSet(columnar.Time, columnar.SrcIP, columnar.Query, columnar.QueryType, columnar.Answers)

// An Asker is a Folder whose keys have addresses that DNS may name.
type Asker interface {
	Folder
	// Ask asks for the names of the addresses that the table holds. It is called before
	// the table is drained or sifted.
	Ask(a *Answers)
}

// Answers holds the DNS answers that one worker has met, and what its tables asked. Its
// methods are called from one goroutine at a time.
type Answers struct {
	o         *FoldOptions
	kept      spooled                 // answers
	asked     spooled                 // questions
	clients   columnar.Lookup[uint64] // hashes
	low, high int64                   // the bounds of the day of the answer before
	types     columnar.Lookup[bool]   // query types that may be answered by an address
	// recent has, by hash, answers that are kept already: clients ask again and again.
	recent []recentAnswer
}

// A recentAnswer is the hash of what a client asked for on a day and was answered, and
// when that was kept, µs UTC. With 64 bits and a secret seed, no two are taken for one.
type recentAnswer struct {
	hash uint64
	us   int64
}

// recentAnswers is the number of answers that are remembered. With more, they fall out
// of the processor's cache; with fewer, more answers are kept several times.
const recentAnswers = 1 << recentBits

const recentBits = 13

// NewAnswers returns Answers that keep about memory bytes in memory and the rest in a
// spool. Questions are few, and take an eighth of it.
func NewAnswers(o *FoldOptions, spool Spool, memory int) *Answers {
	a := &Answers{o: o, kept: newSpooled(spool, memory-memory/8), asked: newSpooled(spool, memory/8), recent: make([]recentAnswer, recentAnswers)}
	a.clients.Func = o.hash
	a.types.Func = scan.AsksAddress
	return a
}

// The record of an answer begins with numbers, little endian:
//
//	8  hash of the client; its highest bits are the part
//	8  time
//
// Texts with their lengths follow: the answers, as columnar.Answers, and the name as it was
// asked for. Note: to take the addresses out of the answers here takes three times as long,
// and most are never asked for.
const answerHead = 16

// Add keeps the answers of a batch.
func (a *Answers) Add(b *columnar.Batch) {
	if b.Table != columnar.DNS || b.Server || b.Known(columnar.Answers) == 0 || b.Known(columnar.SrcIP) == 0 {
		return
	}
	answerEnds, answers := b.Texts(columnar.Answers)
	nameEnds, names := b.Texts(columnar.Query)
	sources, sourceTexts := b.Codes(columnar.SrcIP)
	clients := a.clients.Of(sourceTexts)
	kinds, kindTexts := b.Codes(columnar.QueryType)
	mayBeAddress := a.types.Of(kindTexts)
	for i, us := range b.Int64(columnar.Time) {
		said := answers[answerEnds[i]:answerEnds[i+1]]
		if len(said) > 0 && sources[i] != 0 && mayBeAddress[kinds[i]] {
			a.put(us, clients[sources[i]], names[nameEnds[i]:nameEnds[i+1]], said)
		}
	}
}

// Put keeps an answer that is not a row; see columnar.Out.
func (a *Answers) Put(us int64, client, name, answers []byte) {
	if len(client) > 0 && len(answers) > 0 {
		a.put(us, a.o.hash(client), name, answers)
	}
}

// put keeps an answer to a client with that hash.
func (a *Answers) put(us int64, client uint64, name, said []byte) {
	if us < a.o.From || us >= a.o.To {
		return
	}
	if us < a.low || us >= a.high {
		a.low = int64(a.o.dayOf(us)) * dayMicros
		if a.high = a.low + dayMicros; a.o.OneDay {
			a.low, a.high = a.o.From, a.o.To
		}
	}
	hash := a.o.hash(said) ^ client
	hash = hash*answerMix + a.o.hash(name)
	recent := &a.recent[hash>>(64-recentBits)]
	if recent.hash == hash && recent.us <= us && recent.us >= a.low {
		return
	}
	*recent = recentAnswer{hash, us}
	p := a.kept.part(client)
	begin := len(p.buf)
	buf := slices.Grow(p.buf, answerHead)[:begin+answerHead]
	binary.LittleEndian.PutUint64(buf[begin:], client)
	binary.LittleEndian.PutUint64(buf[begin+8:], uint64(us))
	a.kept.put(p, appendBytes(appendBytes(buf, said), name))
}

// answerMix is odd and has bits everywhere, so that a client and a name do not cancel
// each other.
const answerMix = 0x9e3779b97f4a7c15

// ask asks what a client called an address on the day of a key, which names an entity and
// no object, until last. A record has these numbers and texts in the order of the
// parameters, after the hash of the client.
func (a *Answers) ask(last int64, key, client, address []byte) {
	hash := a.o.hash(client)
	p := a.asked.part(hash)
	buf := binary.LittleEndian.AppendUint64(p.buf, hash)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(last))
	a.asked.put(p, appendBytes(appendBytes(appendBytes(buf, key), client), address))
}

// Close ends adding and asking: it writes what is not written yet, and returns the first
// error.
func (a *Answers) Close() error {
	if err := a.kept.close("DNS answers"); err != nil {
		return err
	}
	return a.asked.close("addresses without a name")
}

// Send divides answers and questions between writers, for TakeAnswers and TakeQuestions: those
// of a client go to one writer, as Connections.Send does it. It is called after Close.
func (a *Answers) Send(answers, questions []io.Writer) error {
	err := a.kept.send(answers, nil, sizeOf(2))
	if err == nil {
		err = a.asked.send(questions, nil, sizeOf(3))
	}
	if err != nil {
		return fmt.Errorf("send DNS answers: %w", err)
	}
	return nil
}

// TakeAnswers adds the answers that Send wrote to one writer, in a process with the same
// FoldOptions.
func (a *Answers) TakeAnswers(in io.Reader) error { return takeAnswers(&a.kept, sizeOf(2), in) }

// TakeQuestions adds the questions that Send wrote to one writer, as TakeAnswers does.
func (a *Answers) TakeQuestions(in io.Reader) error { return takeAnswers(&a.asked, sizeOf(3), in) }

func takeAnswers(to *spooled, record func([]byte) (int, uint64), in io.Reader) error {
	for frame, err := range sent(in) {
		if err == nil {
			err = to.take(frame, func(b []byte) (int, *spooledPart) {
				n, hash := record(b)
				return n, to.part(hash)
			})
		}
		if err != nil {
			return fmt.Errorf("read DNS answers: %w", err)
		}
	}
	return nil
}

// sizeOf returns a function that returns the size and the hash of a record of Answers with that
// many texts.
func sizeOf(texts int) func(b []byte) (size int, hash uint64) {
	return func(b []byte) (int, uint64) {
		d := decoder{b: b}
		hash, _ := d.uint64(), d.uint64()
		for range texts {
			d.bytes()
		}
		if d.bad {
			return 0, 0
		}
		return len(b) - len(d.b), hash
	}
}

// An addressName is what the names of an address have in common. Merging is commutative
// and associative.
type addressName struct {
	common string // their last labels that are the same
	least  string // the first in their order
	// service: all are hosts of one cloud service.
	service bool
	// The first answer, and the client that got it.
	time   int64
	client string
}

// nameOf returns the addressName of one name.
func nameOf(name string, us int64, client string) addressName {
	return addressName{name, name, isCloudHost([]byte(name)), us, client}
}

func (n *addressName) merge(m addressName) {
	if n.least == "" {
		*n = m
		return
	}
	if sooner(m.time, n.time) || m.time == n.time && m.client < n.client {
		n.time, n.client = m.time, m.client
	}
	if n.least == m.least && n.common == m.common {
		n.service = n.service && m.service
		return
	}
	if n.service = n.service && m.service; n.service {
		a, _ := CloudHost([]byte(n.least))
		b, _ := CloudHost([]byte(m.least))
		n.service = a == b
	}
	n.least = min(n.least, m.least)
	n.common = commonLabels(n.common, m.common)
}

// destination returns what rows of user_destination_day call the address, or false if
// nothing is known to have got all the bytes.
func (n *addressName) destination(domains *columnar.Domains) (string, bool) {
	domain := string(domains.Registered([]byte(n.least)))
	switch {
	case isCloudHost([]byte(n.common)):
		return n.common, true
	case n.service:
		return n.least, true
	case string(domains.Registered([]byte(n.common))) == domain:
		return domain, true
	}
	return "", false
}

// commonLabels returns the last labels of a name that another one has too.
func commonLabels(name, other string) string {
	i, j := len(name), len(other)
	for i > 0 && j > 0 && name[i-1] == other[j-1] {
		i, j = i-1, j-1
	}
	for at := i; at < len(name); at++ {
		// The labels of both begin here.
		if at == 0 || name[at-1] == '.' {
			if k := at - i + j; k == 0 || other[k-1] == '.' {
				return name[at:]
			}
		}
	}
	return ""
}

// externalAddress reports whether a destination is the address of a server outside.
func externalAddress(object []byte) bool {
	_, ok := scan.External(object)
	return ok
}

// andNamed returns a sentence about a destination that DNS named, or "".
func andNamed(s *Summary) string {
	if s.AnswerTime == 0 {
		return ""
	}
	return fmt.Sprintf(" The log of connections has only the address; the name is from the DNS answer to %s at %s UTC.", printable(s.AnswerTo), time.UnixMicro(s.AnswerTime).UTC().Format("15:04"))
}
