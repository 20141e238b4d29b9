package dnsmodel

import _ "embed"

//go:embed card.md
var card string

// Card returns the model card: what the model was trained on, how it was judged,
// and what it cannot do. It is Markdown.
func Card() string { return card }
