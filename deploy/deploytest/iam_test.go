package deploytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// A policy is what an IAM policy allows. Nothing else is.
type policy struct{ Statement []statement }

type statement struct {
	Sid, Effect      string
	Action, Resource oneOrMore
	Condition        map[string]map[string]oneOrMore
}

// prefixes returns the prefixes of a request to list that the statement is about, and
// whether it is also about requests without one.
func (s *statement) prefixes() (prefixes oneOrMore, optional, ok bool) {
	if prefixes, ok = s.Condition["StringLikeIfExists"]["s3:prefix"]; ok {
		return prefixes, true, true
	}
	prefixes, ok = s.Condition["StringLike"]["s3:prefix"]
	return prefixes, false, ok
}

// oneOrMore is a text or a list of texts.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(o))
}

// match returns the first of the patterns that text matches. An asterisk ends a pattern,
// or is not in it.
func (o oneOrMore) match(text string) (pattern string, ok bool) {
	i := slices.IndexFunc(o, func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		return pattern == text || open && strings.HasPrefix(text, prefix)
	})
	if i < 0 {
		return "", false
	}
	return o[i], true
}

// A right is what one action, on one resource and one prefix, of a statement allows.
type right struct{ sid, action, resource, prefix string }

// rights returns all that the policy allows.
func (p *policy) rights() []right {
	var out []right
	for _, s := range p.Statement {
		prefixes, _, ok := s.prefixes()
		if !ok {
			prefixes = oneOrMore{""}
		}
		for _, action := range s.Action {
			for _, resource := range s.Resource {
				for _, prefix := range prefixes {
					out = append(out, right{s.Sid, action, resource, prefix})
				}
			}
		}
	}
	return out
}

// A guard is an S3 server that refuses what a policy does not allow.
type guard struct {
	policy policy
	s3     http.Handler

	mu      sync.Mutex
	used    map[right]bool
	refused []string
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	resource := "arn:aws:s3:::" + bucket
	var action string
	switch {
	case r.Method == http.MethodGet && key == "" && r.URL.Query().Has("list-type"):
		action = "s3:ListBucket"
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		action, resource = "s3:GetObject", resource+"/"+key
	case r.Method == http.MethodPut && r.URL.RawQuery == "x-id=PutObject":
		action, resource = "s3:PutObject", resource+"/"+key
	case r.Method == http.MethodDelete:
		action, resource = "s3:DeleteObject", resource+"/"+key
	default:
		action = "an action that no test knows: " + r.Method + " " + r.URL.String()
	}
	query := r.URL.Query()
	allowed := g.allows(action, resource, query["prefix"])
	if allowed && action == "s3:GetObject" {
		// Whether an object is missing is only for those who may list, and their request
		// names no prefix.
		probe := httptest.NewRecorder()
		g.s3.ServeHTTP(probe, httptest.NewRequest(http.MethodHead, r.URL.Path, nil))
		if probe.Code == http.StatusNotFound {
			allowed = g.allows("s3:ListBucket", "arn:aws:s3:::"+bucket, nil)
		}
	}
	if !allowed {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code></Error>")
		return
	}
	g.s3.ServeHTTP(w, r)
}

// allows also notes the answer. prefix is that of the request, if it has one.
func (g *guard) allows(action, resource string, prefix []string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.policy.Statement {
		on, ok := s.Resource.match(resource)
		below := ""
		if prefixes, optional, conditional := s.prefixes(); ok && conditional && (len(prefix) > 0 || !optional) {
			below, ok = prefixes.match(strings.Join(prefix, ""))
			ok = ok && len(prefix) > 0
		}
		if ok && slices.Contains(s.Action, action) {
			g.used[right{s.Sid, action, on, below}] = true
			return true
		}
	}
	g.refused = append(g.refused, fmt.Sprintf("%s on %s, prefix %q", action, resource, prefix))
	return false
}

// If this fails, a role with a policy of iam cannot do its job, or has a right that the job
// does not need.
func TestIAM(t *testing.T) {
	for name, jobs := range map[string][][]string{
		"nightly": {
			{"run", "nightly", "--day", "2026-11-19"},
			{"run", "nightly", "--day", "2026-11-20"},
			{"run", "nightly", "--day", "2026-11-20"}, // replaces, and deletes what it replaced
			{"config", "validate"},
		},
		"stages": {
			{"stage", "run", "--of", "1", "--index", "0", "--work", "s3://security/outflow/stages/1", "--day", "2026-11-19"},
			{"stage", "run", "--of", "1", "--index", "0", "--work", "s3://security/outflow/stages/2", "--day", "2026-11-20"},
			{"stage", "run", "--of", "1", "--index", "0", "--work", "s3://security/outflow/stages/3", "--day", "2026-11-20"},
		},
		"hourly": {{"run", "hourly-dns", "--at", "2026-11-20T12:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			backend := s3mem.New()
			for _, bucket := range []string{"company-logs", "security"} {
				if err := backend.CreateBucket(bucket); err != nil {
					t.Fatal(err)
				}
			}
			for key, body := range map[string]string{
				"squid/access.log-20261119": "1795082400.000 10 10.0.0.7 TCP_MISS/200 900 PUT http://files.example/a ann DIRECT/192.0.2.1 -\n",
				"squid/access.log-20261120": "1795168800.000 10 10.0.0.7 TCP_MISS/200 900 PUT http://files.example/b ann DIRECT/192.0.2.1 -\n",
				"zeek/2026-11-20/dns.log":   "#separator \\x09\n#path\tdns\n#fields\tts\tid.orig_h\tquery\tqtype_name\trcode_name\n1795170000.0\t10.0.0.7\twww.files.example\tA\tNOERROR\n",
				"AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/111122223333_CloudTrail_eu-west-1_20261120T1000Z_abc.json": `{"Records":[{"eventVersion":"1.08","eventTime":"2026-11-20T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.9","userIdentity":{"type":"IAMUser","userName":"ann","accountId":"111122223333"},"eventID":"e1"}]}`,
			} {
				if _, err := backend.PutObject("company-logs", key, nil, strings.NewReader(body), int64(len(body)), nil); err != nil {
					t.Fatal(err)
				}
			}
			g := &guard{s3: gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server(), used: map[right]bool{}}
			text, err := os.ReadFile(filepath.Join("../iam", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &g.policy); err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(g)
			defer server.Close()
			config, err := filepath.Abs("../kubernetes/base/outflow.yaml")
			if err != nil {
				t.Fatal(err)
			}
			env := []string{"OUTFLOW_CONFIG=" + config, "AWS_ENDPOINT_URL_S3=" + server.URL, "AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s",
				"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-west-1", "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
			for _, args := range jobs {
				if out, code := outflow(t, args, env); code != 0 {
					t.Errorf("outflow %v: exit %d: %s", args, code, out)
				}
			}
			if len(g.refused) > 0 {
				t.Errorf("refused:\n%s", strings.Join(g.refused, "\n"))
			}
			for _, r := range g.policy.rights() {
				// The server encrypts nothing.
				if !strings.HasPrefix(r.action, "kms:") && !g.used[r] {
					t.Errorf("%+v: no job asks for it", r)
				}
			}
		})
	}
}
