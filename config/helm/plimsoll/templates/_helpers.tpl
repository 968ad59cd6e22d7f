{{- define "plimsoll.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "plimsoll.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "plimsoll.labels" -}}
{{ include "plimsoll.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "plimsoll.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "plimsoll.name" .) }}
{{- end }}

{{/* The token is a file, so that it stands in no environment. */}}
{{- define "plimsoll.config" -}}
[server]
listen_address = "0.0.0.0:7117"
allow_remote = true
{{- if .Values.server.tokenSecret.name }}
token_file = "/run/secrets/plimsoll/token"
{{- end }}
{{- with .Values.server.settings }}
{{ . | trim }}
{{- end }}

[store]
path = "/var/lib/plimsoll"

{{ .Values.config | trim }}
{{- end }}

{{/* What the check of the config and the daemon share. */}}
{{- define "plimsoll.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: config
    mountPath: /etc/plimsoll
    readOnly: true
  - name: data
    mountPath: /var/lib/plimsoll
  {{- if .Values.server.tokenSecret.name }}
  - name: token
    mountPath: /run/secrets/plimsoll
    readOnly: true
  {{- end }}
{{- end }}
