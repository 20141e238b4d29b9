package store

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// An s3Store is the part of a bucket whose keys begin with prefix.
type s3Store struct {
	client   *s3.Client
	bucket   string
	prefix   string        // "" or ends with a slash
	silences *atomic.Int32 // since the last answer that was complete
	plain    bool          // no TLS protects what is read
}

const (
	// maxAttempts is the number of tries of one request. With maxBackoff, the pauses
	// between them last 35 seconds on average, and at most 71. More would keep a job
	// running that cannot succeed.
	maxAttempts = 12
	// The pause before try n+1 is random, up to firstBackoff·2ⁿ but at most maxBackoff
	// ("full jitter", AWS Architecture Blog, Exponential Backoff And Jitter, 2015). The
	// SDK begins with a second, which makes a server that refuses one request in twenty
	// slower than the requests themselves.
	firstBackoff = 20 * time.Millisecond
	maxBackoff   = 20 * time.Second
	// dialTimeout bounds connecting to a server.
	dialTimeout = 10 * time.Second
	// defaultSilence is the default of Options.Silence. S3 answers within a second or
	// says SlowDown; small servers need several for a long listing.
	defaultSilence = 30 * time.Second
	// maxSilences is after how many silences, on all connections and without a complete
	// answer in between, no request is made any more. A run of 100,000 objects must not
	// wait for each of them.
	maxSilences = 8
)

// awsConfig returns how to reach AWS: the region, and credentials that are there.
func awsConfig(ctx context.Context, o Options, silences *atomic.Int32) (aws.Config, error) {
	fail := func(err error) (aws.Config, error) { return aws.Config{}, err }
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryer(newRetryer),
		config.WithHTTPClient(httpClient(cmp.Or(o.Silence, defaultSilence), silences)),
		// What it would say is in the errors.
		config.WithLogger(logging.Nop{}))
	if err != nil {
		return fail(oneLine("the AWS configuration cannot be read", err))
	}
	if o.Region != "" {
		cfg.Region = o.Region
	}
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	// Asking now distinguishes missing credentials from every other refusal. The
	// configuration caches the answer, so this costs nothing later.
	if cfg.Credentials == nil {
		return fail(errNoCredentials)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return fail(ctx.Err())
		}
		// The instance role is the last place where the SDK looks.
		if strings.Contains(err.Error(), "no EC2 IMDS role found") {
			return fail(errNoCredentials)
		}
		return fail(oneLine("the AWS credentials cannot be obtained", err))
	}
	return cfg, nil
}

func newS3(ctx context.Context, bucket, prefix string, o Options) (Store, error) {
	silences := new(atomic.Int32)
	cfg, err := awsConfig(ctx, o, silences)
	if err != nil {
		return nil, fmt.Errorf("open s3://%s/%s: %w", bucket, prefix, err)
	}
	plain := false
	client := s3.NewFromConfig(cfg, func(so *s3.Options) {
		so.DisableLogOutputChecksumValidationSkipped = true
		if o.Requests != nil {
			so.HTTPClient = countingClient{so.HTTPClient, o.Requests}
		}
		if o.EndpointURL != "" {
			so.BaseEndpoint = aws.String(o.EndpointURL)
		}
		// A private server seldom has a host name for each bucket, and older
		// servers refuse the checksums that AWS uses by default.
		if so.BaseEndpoint != nil {
			u, err := url.Parse(*so.BaseEndpoint)
			plain = err == nil && u.Scheme == "http"
			so.UsePathStyle = true
			so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	return &s3Store{client, bucket, prefix, silences, plain}, nil
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			longest := min(firstBackoff<<attempt, maxBackoff)
			return rand.N(longest), nil
		})
		o.Retryables = append(o.Retryables,
			// S3 answers this if two conditional writes of a key collide: neither is decided.
			retry.RetryableErrorCode{Codes: map[string]struct{}{"ConditionalRequestConflict": {}}},
			retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				// An answer that cannot be parsed was cut off on its way; so was one that says in
				// half a text what is wrong. A whole text that is not of S3 comes from elsewhere.
				_, ok := errors.AsType[*smithy.DeserializationError](err)
				cut, syntax := errors.AsType[*xml.SyntaxError](err)
				return aws.BoolTernary(ok || syntax && cut.Msg == "unexpected EOF")
			}))
	})
}

// httpClient returns a client that gives a server up when nothing passes in either
// direction for the time of silence. A total time would end large objects on slow
// lines; a limit for reading alone would end long writes. The caller sets silences to 0
// when an answer is complete.
func httpClient(silence time.Duration, silences *atomic.Int32) aws.HTTPClient {
	dial := (&net.Dialer{Timeout: min(dialTimeout, silence)}).DialContext
	return awshttp.NewBuildableClient().WithReadTimeout(0).WithTransportOptions(func(t *http.Transport) {
		t.IdleConnTimeout = silence / 2 // an unused connection is silent rightly
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if silences.Load() >= maxSilences {
				return nil, &silentError{silence, true}
			}
			c, err := dial(ctx, network, address)
			if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() && ctx.Err() == nil {
				silences.Add(1)
			}
			if err != nil {
				return nil, err
			}
			return &conn{c, silence, silences}, nil
		}
	})
}

// A countingClient counts the requests that it makes.
type countingClient struct {
	s3.HTTPClient
	n *Requests
}

func (c countingClient) Do(r *http.Request) (*http.Response, error) {
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Has("list-type"):
		c.n.Lists.Add(1)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		c.n.Gets.Add(1)
	}
	return c.HTTPClient.Do(r)
}

// A conn fails when nothing passes for the time of silence.
type conn struct {
	net.Conn
	silence  time.Duration
	silences *atomic.Int32
}

func (c *conn) Read(p []byte) (int, error)  { return c.within(c.Conn.Read, p) }
func (c *conn) Write(p []byte) (int, error) { return c.within(c.Conn.Write, p) }

// within also moves the limit of the other direction: a connection always has a read
// waiting, and must not fail while a long body is being written.
func (c *conn) within(pass func([]byte) (int, error), p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	n, err := pass(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.silences.Add(1)
		err = &silentError{c.silence, false}
	}
	return n, err
}

// A silentError says that a server stopped answering. It is a net.Error.
type silentError struct {
	silence time.Duration
	gaveUp  bool
}

func (e *silentError) Error() string {
	if e.gaveUp {
		return fmt.Sprintf("given up: nothing came for %v, %d times in a row", e.silence, maxSilences)
	}
	return fmt.Sprintf("nothing came for %v", e.silence)
}

func (e *silentError) Timeout() bool   { return true }
func (e *silentError) Temporary() bool { return true }

// RetryableError is what the SDK's retryer asks.
func (e *silentError) RetryableError() bool { return !e.gaveUp }

var errNoCredentials = errors.New("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, " +
	"or AWS_PROFILE, or run under a role (service account, task or instance)")

// fail adds to an error what was being done to which object, and how to fix it.
func (s *s3Store) fail(verb, name string, err error) error {
	return faultOf(fmt.Errorf("%s s3://%s/%s%s: %w", verb, s.bucket, s.prefix, name, s.explain(verb, err)))
}

// permissions are the IAM actions that each verb of fail needs.
var permissions = map[string]string{
	"list":   "s3:ListBucket on the bucket; a bucket whose requesters pay refuses, too",
	"open":   "s3:GetObject (and kms:Decrypt if the object is encrypted); without s3:ListBucket a missing object looks like this too",
	"write":  "s3:PutObject",
	"delete": "s3:DeleteObject",
}

// explain reduces an error of the SDK, which wraps many, to one line.
func (s *s3Store) explain(verb string, err error) error {
	for _, e := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return e
		}
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		switch e.ErrorCode() {
		case "NoSuchKey", "NotFound":
			return fs.ErrNotExist
		case "NoSuchBucket":
			return errNoBucket
		case "PreconditionFailed":
			return ErrChanged
		case "AccessDenied", "Forbidden", "AllAccessDisabled":
			return fmt.Errorf("access denied: the role or user needs %s", permissions[verb])
		case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken":
			return fmt.Errorf("the AWS credentials are wrong (%s): check the key, and the endpoint if it is not at AWS", e.ErrorCode())
		case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
			return errors.New("the AWS credentials have expired: renew them and run again")
		case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
			return fmt.Errorf("the bucket is in another region than %s: set s3.region, or --s3-region", s.client.Options().Region)
		case "RequestTimeTooSkewed":
			return errors.New("the clock of this machine differs from the server's by more than it allows: set it, as NTP does")
		}
		return oneLine(e.ErrorCode(), errors.New(e.ErrorMessage()))
	}
	if e, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return oneLine("the server's answer cannot be read", e.Err)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		where := "AWS"
		if u, perr := url.Parse(e.URL); perr == nil {
			where = u.Scheme + "://" + u.Host
		}
		return fmt.Errorf("no answer from %s: %w", where, e.Err)
	}
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		if verb == "open" && e.HTTPStatusCode() == http.StatusNotFound {
			return fs.ErrNotExist
		}
		return fmt.Errorf("the server's answer cannot be read: HTTP status %d", e.HTTPStatusCode())
	}
	return oneLine("request", err)
}

// oneLine keeps the chain of err, but not its line breaks.
func oneLine(what string, err error) error {
	return &lineError{what + ": " + strings.Join(strings.Fields(err.Error()), " "), err}
}

type lineError struct {
	text string
	err  error
}

func (e *lineError) Error() string { return e.text }
func (e *lineError) Unwrap() error { return e.err }

func (s *s3Store) List(ctx context.Context, prefix string, depth Depth) iter.Seq2[Entry, error] {
	return s.listAfter(ctx, prefix, "", depth)
}

// listAfter is List of the names after a name.
func (s *s3Store) listAfter(ctx context.Context, prefix, after string, depth Depth) iter.Seq2[Entry, error] {
	in := &s3.ListObjectsV2Input{
		Bucket: &s.bucket,
		Prefix: aws.String(s.prefix + prefix),
		// Without it, one key with a control character makes XML that no parser
		// accepts.
		EncodingType: types.EncodingTypeUrl,
	}
	if depth == Shallow {
		in.Delimiter = aws.String("/")
	}
	if after != "" {
		in.StartAfter = aws.String(s.prefix + after)
	}
	return func(yield func(Entry, error) bool) {
		last := ""
		for pages := s3.NewListObjectsV2Paginator(s.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Entry{}, s.fail("list", prefix, err))
				return
			}
			s.silences.Store(0)
			entries, err := s.entries(page)
			if err == nil && len(entries) == 0 && page.Name == nil && page.KeyCount == nil && page.IsTruncated == nil {
				err = errNoListing
			}
			if err != nil {
				yield(Entry{}, s.fail("list", prefix, err))
				return
			}
			for _, e := range entries {
				// Some servers repeat a folder on the next page.
				if e.Name == "" || e.Name == last {
					continue
				}
				last = e.Name
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// entries returns a page's objects and folders in order. S3 lists them separately.
func (s *s3Store) entries(page *s3.ListObjectsV2Output) ([]Entry, error) {
	name := func(key *string) (string, error) {
		k := aws.ToString(key)
		if page.EncodingType == types.EncodingTypeUrl {
			var err error
			if k, err = url.QueryUnescape(k); err != nil {
				return "", fmt.Errorf("decode key: %w", err)
			}
		}
		return strings.TrimPrefix(k, s.prefix), nil
	}
	entries := make([]Entry, 0, len(page.Contents)+len(page.CommonPrefixes))
	for _, o := range page.Contents {
		n, err := name(o.Key)
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{
			Name:    n,
			Size:    aws.ToInt64(o.Size),
			Written: aws.ToTime(o.LastModified).UTC(),
			ETag:    strings.Trim(aws.ToString(o.ETag), `"`),
		})
	}
	for _, p := range page.CommonPrefixes {
		n, err := name(p.Prefix)
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{Name: n})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

func (s *s3Store) Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) error {
	size, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return s.fail("write", name, err)
	}
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: aws.String(s.prefix + name), Body: body, ContentLength: &size}
	lost := ErrChanged
	switch when {
	case Always:
	case IfAbsent:
		in.IfNoneMatch = aws.String("*")
		lost = ErrExists
	default:
		in.IfMatch = aws.String(quote(string(when)))
	}
	_, err = s.client.PutObject(ctx, in)
	if e, ok := errors.AsType[smithy.APIError](err); ok && when != Always {
		switch e.ErrorCode() {
		case "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey":
			return fmt.Errorf("write s3://%s/%s%s: %w", s.bucket, s.prefix, name, lost)
		}
	}
	if err != nil {
		return s.fail("write", name, err)
	}
	s.silences.Store(0)
	return nil
}

func quote(etag string) string { return `"` + etag + `"` }

func (s *s3Store) Delete(ctx context.Context, name string) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String(s.prefix + name)})
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "NoSuchKey" {
		return nil
	}
	if err != nil {
		return s.fail("delete", name, err)
	}
	return nil
}

// Lock returns errors.ErrUnsupported: nothing in S3 ends with a process.
func (s *s3Store) Lock(context.Context, string) (Lock, error) { return nil, errors.ErrUnsupported }

// Tidy has nothing to do: an object that was not written whole does not exist.
func (s *s3Store) Tidy(context.Context, string, Depth) (int, error) { return 0, nil }
