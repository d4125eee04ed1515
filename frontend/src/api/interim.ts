/** Operations that the OpenAPI document does not have yet, by hand. */
export interface Output { name: string; bytes: number; rows: number; media_type: string }

export interface MissingPaths {
  "/api/v1/runs/{id}/outputs": {
    get: {
      parameters: { path: { id: string } };
      responses: { 200: { headers: object; content: { "application/json": { results: Output[] } } } };
    };
  };
}
