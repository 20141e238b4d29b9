package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// This file asks the AWS Glue Data Catalog where the metadata of an Iceberg table are. It
// takes one signed request, so the SDK's package for Glue is not linked.

// maxGlueAnswer is how large an answer may be, in bytes: a table of thousands of columns
// takes a megabyte.
const maxGlueAnswer = 16 << 20

// A glueName names a table of a catalog. It is the body of the request.
type glueName struct {
	CatalogID string `json:"CatalogId,omitempty"`
	Database  string `json:"DatabaseName"`
	Name      string `json:"Name"`
}

type glueAnswer struct {
	Table struct {
		Parameters map[string]string
		// TargetTable is the table of another account that the name is a link to.
		TargetTable *struct {
			CatalogID string `json:"CatalogId"`
			Database  string `json:"DatabaseName"`
			Name      string
		}
	}
	Type         string `json:"__type"` // of an error
	Message      string `json:"message"`
	MessageUpper string `json:"Message"`
}

// glueLocation returns the URI of the metadata file of a table, which is named
// database/table, or account@database/table in the catalog of another account.
func glueLocation(ctx context.Context, name string, o Options) (string, error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("table glue://%s: %w", name, err)
	}
	database, table, ok := strings.Cut(name, "/")
	if !ok || database == "" || table == "" || strings.Contains(table, "/") {
		return fail(errors.New("want glue://database/table"))
	}
	ask := glueName{Database: database, Name: table}
	if account, db, ok := strings.Cut(database, "@"); ok {
		ask.CatalogID, ask.Database = account, db
	}
	cfg, err := awsConfig(ctx, o, new(atomic.Int32))
	if err != nil {
		return fail(err)
	}
	for range 2 {
		answer, err := askGlue(ctx, &cfg, &ask)
		if err != nil {
			return fail(err)
		}
		t := &answer.Table
		if at := t.Parameters["metadata_location"]; at != "" {
			return at, nil
		}
		if t.TargetTable == nil {
			return fail(errors.New("is no Iceberg table: it has no metadata_location"))
		}
		ask = glueName{t.TargetTable.CatalogID, t.TargetTable.Database, t.TargetTable.Name}
	}
	return fail(errors.New("is a link to a link: name the table itself"))
}

func askGlue(ctx context.Context, cfg *aws.Config, ask *glueName) (*glueAnswer, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, glueEndpoint(cfg.Region), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "AWSGlue.GetTable")
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, oneLine("the AWS credentials cannot be obtained", err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), "glue", cfg.Region, time.Now()); err != nil {
		return nil, oneLine("sign the request", err)
	}
	client := &http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return nil, oneLine("no answer from "+request.URL.Scheme+"://"+request.URL.Host, errors.Unwrap(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxGlueAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxGlueAnswer {
		return nil, fmt.Errorf("an answer of more than %d bytes", maxGlueAnswer)
	}
	var answer glueAnswer
	err = json.Unmarshal(text, &answer)
	if response.StatusCode != http.StatusOK {
		_, code, _ := strings.Cut("#"+answer.Type, "#")
		if i := strings.LastIndex(code, "#"); i >= 0 {
			code = code[i+1:]
		}
		switch code {
		case "EntityNotFoundException":
			return nil, errors.New("there is no such table in the catalog of region " + cfg.Region)
		case "AccessDeniedException":
			return nil, errors.New("access denied: the role or user needs glue:GetTable")
		}
		return nil, oneLine(fmt.Sprintf("Glue answers %d %s", response.StatusCode, code), errors.New(answer.Message+answer.MessageUpper))
	}
	if err != nil {
		return nil, fmt.Errorf("the answer of Glue: %w", err)
	}
	return &answer, nil
}

// glueEndpoint is the address of the catalog of a region, unless the environment gives it,
// as for the tools of AWS.
func glueEndpoint(region string) string {
	if at := os.Getenv("AWS_ENDPOINT_URL_GLUE"); at != "" {
		return at
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return "https://glue." + region + "." + domain + "/"
}
