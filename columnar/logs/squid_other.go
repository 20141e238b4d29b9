//go:build !amd64 || purego

package logs

// cut does the steps of the layout from at on in the window. It returns where the
// last ends, -1 if one cannot be done. A newline must follow in the window.
func (d *squid) cut(at int) (end int) { return d.cutGo(at) }
