package jobs

import "outflow/stats/detect"

func (f *folded) collect(a *detect.Aggregate) (rows []detect.Row) {
	for r, err := range f.Rows(a) {
		if err != nil {
			panic(err)
		}
		rows = append(rows, *r)
	}
	return rows
}
