// Uploads one file with Google's own client, unmodified, and prints the outcome as JSON.
// Usage: node upload.js FILE OPTIONS.json   OPTIONS: rootUrl, client (of a client secret file), refreshToken, body, media
'use strict';

const fs = require('fs');
const { auth, youtube } = require('@googleapis/youtube');

async function main(file, options) {
  const client = new auth.OAuth2({
    clientId: options.client.client_id,
    clientSecret: options.client.client_secret,
    endpoints: { oauth2TokenUrl: options.client.token_uri },
  });
  client.setCredentials({ refresh_token: options.refreshToken });
  const service = youtube({ version: 'v3', auth: client });

  const request = { part: ['snippet', 'status'], media: { mimeType: 'video/mp4', body: fs.createReadStream(file) } };
  if (options.body) request.requestBody = options.body;
  const inserted = await service.videos.insert(request, { rootUrl: options.rootUrl });
  const channels = await service.channels.list({ part: ['id'], mine: true }, { rootUrl: options.rootUrl });
  return { status: inserted.status, video: inserted.data, channel: channels.data.items[0].id };
}

main(process.argv[2], JSON.parse(fs.readFileSync(process.argv[3], 'utf8')))
  .then((result) => console.log(JSON.stringify(result)))
  .catch((error) => {
    console.log(JSON.stringify({
      status: error.status || (error.response && error.response.status) || null,
      errors: error.response && error.response.data && error.response.data.error,
      message: String(error.message),
    }));
  });
