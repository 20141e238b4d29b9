package dnsmodel

import _ "embed"

//go:embed card.md
var card string

// Card returns the model card in Markdown: what the model was trained on, how it
// was evaluated, and what it cannot do.
func Card() string { return card }
