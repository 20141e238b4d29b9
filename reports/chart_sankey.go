package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// This file draws who sent data where, as a Sankey diagram.

// A flow is what went from one node of a Sankey diagram to another.
type flow struct {
	from, to int // index of the nodes
	bytes    int64
	fresh    bool // the destination was never used before
}

// A node is a sender or a destination of a Sankey diagram.
type node struct {
	name  string
	bytes int64
	fresh bool
	y     float64
	used  float64 // of its height, by flows drawn so far
}

// sankeyNodes is how many senders, and how many destinations, have a node of their own.
const sankeyNodes = 12

// elsewhere stands for where data went if no log names one destination that got most of it.
const elsewhere = "no single destination logged"

// newSankey draws who sent data where. It returns nil if nothing left.
func newSankey(all []*subject) *picture {
	type pair struct{ from, to string }
	var pairs []pair
	sums := map[pair]int64{}
	senders, places, fresh := map[string]int64{}, map[string]int64{}, map[string]bool{}
	for _, s := range all {
		who := visible(s.spelling())
		for _, l := range s.leaks {
			k := pair{who, cmp.Or(visible(l.where), elsewhere)}
			if sums[k] == 0 {
				pairs = append(pairs, k)
			}
			sums[k] = AddBytes(sums[k], l.bytes)
			senders[k.from] = AddBytes(senders[k.from], l.bytes)
			places[k.to] = AddBytes(places[k.to], l.bytes)
			fresh[k.to] = fresh[k.to] || slices.Contains(newPlaces(l.finding), l.where)
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), strings.Compare(a.from, b.from), strings.Compare(a.to, b.to))
	})
	left, leftAt := largestNodes(senders, "others")
	right, rightAt := largestNodes(places, "other destinations")
	flows := map[[2]int]*flow{}
	var order []*flow
	for _, k := range pairs {
		at := [2]int{leftAt(k.from), rightAt(k.to)}
		if flows[at] == nil {
			flows[at] = &flow{from: at[0], to: at[1]}
			order = append(order, flows[at])
		}
		flows[at].bytes = AddBytes(flows[at].bytes, sums[k])
		flows[at].fresh = flows[at].fresh || fresh[k.to]
		right[at[1]].fresh = right[at[1]].fresh || fresh[k.to]
	}
	untangle(left, right, order)
	p := &picture{
		ID: "where", Heading: "Who sent data where",
		Lede:  "People and machines are on the left, destinations on the right. The width is the volume that probably left, above normal. The thinnest lines are drawn wider than they are.",
		Title: "Who sent data where", Width: pictureWidth,
		Head: []string{"Who", "Where", "Volume", "Destination"}, Numbers: 2,
		Keys: []pictureKey{{"fresh", "never used before by the sender"}, {"known", "used before, or not known"}},
	}
	p.Desc = fmt.Sprintf("%s to %s. The largest: %s.", counted(len(senders), "sender", "senders"), counted(len(places), "destination", "destinations"),
		byteSize(float64(sums[pairs[0]])))
	scale := 250 / float64(max(total(left), 1))
	p.Height = int(max(placeNodes(left, scale), placeNodes(right, scale))) + 4
	for _, f := range order {
		p.ribbon(f, &left[f.from], &right[f.to], scale)
	}
	for i := range left {
		p.node(&left[i], pictureLeft-10, scale, "end", fitName(left[i].name, cellsLeft))
	}
	for i := range right {
		name := right[i].name
		if name != elsewhere && i < sankeyNodes {
			name = defang(fitPlace(name, cellsRight))
		}
		p.node(&right[i], pictureRight, scale, "start", name)
	}
	for _, k := range pairs[:min(len(pairs), maxInputs)] {
		p.Rows = append(p.Rows, []shown{show(k.from, maxName), where(k.to), {Text: byteSize(float64(sums[k]))}, {Text: freshWord(fresh[k.to])}})
	}
	return p
}

func freshWord(fresh bool) string {
	if fresh {
		return "new"
	}
	return ""
}

func total(nodes []node) (sum int64) {
	for _, n := range nodes {
		sum = AddBytes(sum, n.bytes)
	}
	return sum
}

// largestNodes returns a node for each of the largest names and one for the others, and
// a function that returns the index of a name's node.
func largestNodes(of map[string]int64, others string) ([]node, func(name string) int) {
	var nodes []node
	for name, n := range of {
		nodes = append(nodes, node{name: name, bytes: n})
	}
	slices.SortFunc(nodes, func(a, b node) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), strings.Compare(a.name, b.name))
	})
	if more := len(nodes) - sankeyNodes; more > 1 {
		rest := node{name: count(int64(more)) + " " + others}
		for _, n := range nodes[sankeyNodes:] {
			rest.bytes = AddBytes(rest.bytes, n.bytes)
		}
		nodes = append(nodes[:sankeyNodes], rest)
	}
	at := map[string]int{}
	for i, n := range nodes {
		at[n.name] = i
	}
	return nodes, func(name string) int {
		if i, ok := at[name]; ok {
			return i
		}
		return len(nodes) - 1
	}
}

// untangle orders the right nodes by where their flows come from, so that few cross,
// and the flows by the nodes that they join. The node of the others stays last.
func untangle(left, right []node, flows []*flow) {
	weight := make([]float64, len(right))
	for _, f := range flows {
		weight[f.to] += float64(f.from) * float64(f.bytes)
	}
	order := make([]int, len(right))
	for i := range order {
		order[i] = i
		weight[i] /= float64(max(right[i].bytes, 1))
	}
	last := min(len(right), sankeyNodes)
	slices.SortStableFunc(order[:last], func(a, b int) int { return cmp.Compare(weight[a], weight[b]) })
	sorted, at := make([]node, len(right)), make([]int, len(right))
	for i, j := range order {
		sorted[i], at[j] = right[j], i
	}
	copy(right, sorted)
	for _, f := range flows {
		f.to = at[f.to]
	}
	slices.SortFunc(flows, func(a, b *flow) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
}

// thickness returns the height of bytes in a Sankey diagram: at least that of a line
// that can be seen.
func thickness(bytes int64, scale float64) float64 { return max(1.5, float64(bytes)*scale) }

// placeNodes sets the places of nodes, one below the other with room for their labels,
// and returns where they end.
func placeNodes(nodes []node, scale float64) float64 {
	const room = 22
	y := 4.0
	for i := range nodes {
		h := thickness(nodes[i].bytes, scale)
		nodes[i].y = y + max(0, room-h)/2
		y += max(room, h) + 4
	}
	return y
}

// ribbon draws a flow below what a node has drawn already.
func (p *picture) ribbon(f *flow, from, to *node, scale float64) {
	h := thickness(f.bytes, scale)
	a, b := from.y+from.used, to.y+to.used
	from.used += float64(f.bytes) * scale
	to.used += float64(f.bytes) * scale
	const x0, x1 = pictureLeft, pictureRight
	mid := coordinate((x0 + x1) / 2)
	class := "flow known"
	if f.fresh {
		class = "flow fresh"
	}
	p.Marks = append(p.Marks, mark{Class: class, Title: fitName(from.name, maxName) + " to " + defang(fitPlace(to.name, maxName)) + ": " + byteSize(float64(f.bytes)),
		Path: fmt.Sprintf("M%d %sC%s %s %s %s %d %sV%sC%s %s %s %s %d %sZ",
			x0, coordinate(a), mid, coordinate(a), mid, coordinate(b), x1, coordinate(b), coordinate(b+h),
			mid, coordinate(b+h), mid, coordinate(a+h), x0, coordinate(a+h))})
}

// node draws a node and its label.
func (p *picture) node(n *node, x float64, scale float64, anchor, name string) {
	h := thickness(n.bytes, scale)
	p.Marks = append(p.Marks, mark{Class: "node", X: coordinate(x), Y: coordinate(n.y), Width: "10", Height: coordinate(h)})
	text, at := name+"  "+byteSize(float64(n.bytes)), x-8
	if anchor == "start" {
		at = x + 18
		if n.fresh {
			text += " · new"
		}
	}
	p.Labels = append(p.Labels, label{X: coordinate(at), Y: coordinate(n.y + h/2 + 4), Anchor: anchor, Text: text})
}
