//go:build !purego

package logs

import "outflow/columnar/scan"

// cut does the steps of the layout from at on in the window. It returns where the
// last ends, -1 if one cannot be done. A newline must follow in the window.
func (d *squid) cut(at int) (end int) {
	if !scan.AVX2() {
		return d.cutGo(at)
	}
	steps := d.layout.steps
	return cutBMI(&d.spans, &steps[0], len(steps), &d.data[d.window], d.window, &d.spaces[0], &d.quotes[0], at)
}

// cutBMI is cutGo of n steps, more than none, in the text of the window, but that
// it looks for a byte in 32 only.
//
//go:noescape
func cutBMI(spans *[numSquidFields]uint64, steps *squidStep, n int, text *byte, window int, spaces, quotes *uint64, at int) (end int)
